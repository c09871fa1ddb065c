#include "ipc/message.h"

#include <string.h>

#include "base/wire.h"

enum field_type { FIELD_U8, FIELD_U16, FIELD_U32, FIELD_U64, FIELD_BYTES };

struct field {
	enum field_type type;
	size_t offset; /* in the message's struct */
	size_t max;    /* of bytes */
};

struct layout {
	unsigned number;
	const char *name;
	const struct field *fields;
	size_t n;
};

/* offsetof needs the struct's name, which the field macros do not know: each
 * table is made with struct self standing for it. */
#define AT_U8(name)	{ FIELD_U8, offsetof(struct self, name), 0 },
#define AT_U16(name)	{ FIELD_U16, offsetof(struct self, name), 0 },
#define AT_U32(name)	{ FIELD_U32, offsetof(struct self, name), 0 },
#define AT_U64(name)	{ FIELD_U64, offsetof(struct self, name), 0 },
#define AT_B(name, max) { FIELD_BYTES, offsetof(struct self, name), (max) },

#define LAYOUT_CASE(num, msg)                                                                          \
	case num: {                                                                                    \
		struct self {                                                                          \
			IPC_FIELDS_##msg(IPC_U8, IPC_U16, IPC_U32, IPC_U64, IPC_B)                     \
		};                                                                                     \
		static const struct field fields[] = { IPC_FIELDS_##msg(AT_U8, AT_U16, AT_U32, AT_U64, \
									AT_B) };                       \
		*ret = (struct layout){ num, #msg, fields, sizeof(fields) / sizeof(fields[0]) };       \
		return true;                                                                           \
	}

static bool layout_of(unsigned type, struct layout *ret)
{
	switch (type) {
		IPC_MESSAGES(LAYOUT_CASE)
	default:
		return false;
	}
}

const char *ipc_type_name(unsigned type)
{
	struct layout l;

	return layout_of(type, &l) ? l.name : "unknown";
}

static void put_field(const struct field *f, const unsigned char *at, struct buf *to)
{
	struct slice s;
	uint16_t u16;
	uint32_t u32;
	uint64_t u64;

	switch (f->type) {
	case FIELD_U8:
		wire_put_u8(to, *at);
		break;
	case FIELD_U16:
		memcpy(&u16, at, sizeof(u16));
		wire_put_u16(to, u16);
		break;
	case FIELD_U32:
		memcpy(&u32, at, sizeof(u32));
		wire_put_u32(to, u32);
		break;
	case FIELD_U64:
		memcpy(&u64, at, sizeof(u64));
		wire_put_u64(to, u64);
		break;
	case FIELD_BYTES:
		memcpy(&s, at, sizeof(s));
		if (s.n > f->max)
			to->failed = true;
		else
			wire_put_bytes(to, s);
		break;
	}
}

void ipc_encode(const struct ipc_message *m, struct buf *to)
{
	/* The union's members all begin where the union does. */
	const unsigned char *base = (const unsigned char *)&m->conf;
	struct layout l;

	if (!layout_of(m->type, &l)) {
		to->failed = true;
		return;
	}
	wire_put_u16(to, (uint16_t)m->type);
	for (size_t i = 0; i < l.n; i++)
		put_field(&l.fields[i], base + l.fields[i].offset, to);
}

static bool get_field(const struct field *f, struct slice *cur, unsigned char *at)
{
	struct slice s;
	uint8_t u8;
	uint16_t u16;
	uint32_t u32;
	uint64_t u64;

	switch (f->type) {
	case FIELD_U8:
		if (!wire_u8(cur, &u8))
			return false;
		*at = u8;
		return true;
	case FIELD_U16:
		if (!wire_u16(cur, &u16))
			return false;
		memcpy(at, &u16, sizeof(u16));
		return true;
	case FIELD_U32:
		if (!wire_u32(cur, &u32))
			return false;
		memcpy(at, &u32, sizeof(u32));
		return true;
	case FIELD_U64:
		if (!wire_u64(cur, &u64))
			return false;
		memcpy(at, &u64, sizeof(u64));
		return true;
	case FIELD_BYTES:
		if (!wire_bytes(cur, f->max, &s))
			return false;
		memcpy(at, &s, sizeof(s));
		return true;
	}
	return false;
}

bool ipc_take(struct slice *cur, struct ipc_message *ret)
{
	struct ipc_message m = { 0 };
	unsigned char *base = (unsigned char *)&m.conf;
	struct slice packet = *cur;
	struct layout l;
	uint16_t type;

	if (!wire_u16(&packet, &type) || !layout_of(type, &l))
		return false;
	m.type = (enum ipc_type)type;
	for (size_t i = 0; i < l.n; i++)
		if (!get_field(&l.fields[i], &packet, base + l.fields[i].offset))
			return false;
	*cur = packet;
	*ret = m;
	return true;
}

bool ipc_decode(struct slice packet, struct ipc_message *ret)
{
	struct ipc_message m;

	if (!ipc_take(&packet, &m))
		return false;
	if (packet.n > 0)
		return false;
	*ret = m;
	return true;
}

const char *ipc_role_name(unsigned role)
{
	static const char *const names[IPC_ROLES] = {
		[IPC_MAIN] = "main",	 [IPC_SMTP] = "smtp",	  [IPC_QUEUE] = "queue",
		[IPC_KEEPER] = "keeper", [IPC_LEDGER] = "ledger", [IPC_LOCAL] = "local",
		[IPC_ADMIN] = "admin",	 [IPC_FETCH] = "fetch",
	};

	return role < IPC_ROLES && names[role] ? names[role] : "unknown";
}

const char *ipc_mishap_name(unsigned kind)
{
	static const char *const names[IPC_MISHAP_KINDS] = {
		[IPC_MISHAP_TLS_ON_STARTTLS] = "tls-on-starttls",
		[IPC_MISHAP_TLS_ON_RELAY] = "tls-on-relay",
		[IPC_MISHAP_PLAIN_ON_IMPLICIT] = "plain-on-implicit",
		[IPC_MISHAP_SILENT_ON_IMPLICIT] = "silent-on-implicit",
		[IPC_MISHAP_TLS_TOO_LATE] = "tls-too-late",
		[IPC_MISHAP_AUTH_ON_RELAY] = "auth-on-relay",
		[IPC_MISHAP_NO_STARTTLS] = "no-starttls",
		[IPC_MISHAP_NO_AUTH] = "no-auth",
		[IPC_MISHAP_PASSWORD_IN_CLEAR] = "password-in-clear",
		[IPC_MISHAP_RELAY_DENIED] = "relay-denied",
		[IPC_MISHAP_NOT_SMTP] = "not-smtp",
		[IPC_MISHAP_TLS_FAILED] = "tls-failed",
		[IPC_MISHAP_PROXY_MISSING] = "proxy-missing",
		[IPC_MISHAP_PROXY_UNEXPECTED] = "proxy-unexpected",
	};

	return kind < IPC_MISHAP_KINDS && names[kind] ? names[kind] : "unknown";
}

const char *ipc_class_name(unsigned class)
{
	static const char *const names[IPC_CLASSES] = {
		[IPC_CLASS_NORMAL] = "normal", [IPC_CLASS_BULK] = "bulk", [IPC_CLASS_URGENT] = "urgent"
	};

	return class < IPC_CLASSES ? names[class] : "unknown";
}
