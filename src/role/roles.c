#include "role/role.h"

/* Every role that main starts has its row here. */
static const struct role_ops *const roles[] = {
	&role_admin, &role_fetch, &role_keeper, &role_ledger, &role_local, &role_queue, &role_smtp,
};

const struct role_ops *role_ops_of(enum ipc_role id)
{
	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++)
		if (roles[i] && roles[i]->id == id)
			return roles[i];
	return NULL;
}
