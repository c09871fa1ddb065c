#include "role/usage.h"

#include <errno.h>
#include <fcntl.h>

#include "deliver/maildir.h"
#include "deliver/quota.h"

#define AT_ONCE_MAX 4 /* of all threads that deliver */

struct usage {
	uv_work_t work;
	struct role_request *req;
	int root, r;
	char mailbox[513];
	struct quota_usage is;
};

static unsigned at_once;

static int open_box(int root, const char *path)
{
	char part[513];
	struct slice rest = slice_str(path);
	int at = root;

	while (rest.n > 0) {
		struct slice c = slice_head(rest, slice_find(rest, '/'));
		int next = -ENAMETOOLONG;

		rest = slice_tail(rest, c.n + 1);
		if (slice_copy(c, part, sizeof(part))) {
			next = openat(at, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
			next = next < 0 ? -errno : next;
		}
		if (at != root)
			close(at);
		if (next < 0)
			return next;
		at = next;
	}
	return at;
}

static void work(uv_work_t *w)
{
	struct usage *u = w->data;
	int box = open_box(u->root, u->mailbox);

	u->r = box < 0 ? box : quota_usage(box, &u->is);
	if (box >= 0 && box != u->root)
		close(box);
	if (u->r == -ENOENT) /* no mail came yet */
		u->r = 0;
}

static void on_worked(uv_work_t *w, int status)
{
	struct usage *u = w->data;

	at_once--;
	if (status < 0 || u->r < 0)
		role_answer_error(u->req, "the mailbox cannot be read",
				  "the log of the server, or the owner of its folder, may say more");
	else
		role_answer(u->req,
			    json_pack("{s:I, s:I}", "octets", (json_int_t)u->is.octets, "messages",
				      (json_int_t)u->is.messages),
			    true);
	free(u);
}

void usage_request(struct role *r, int root, struct role_request *req)
{
	const char *mailbox = json_string_value(json_object_get(req->json, "mailbox"));
	struct usage *u;

	if (strcmp(req->ask, "mailbox.usage") != 0 || !mailbox || !maildir_path_ok(slice_str(mailbox))) {
		role_answer_error(req, "the mailboxes answer no such question", NULL);
		return;
	}
	u = at_once < AT_ONCE_MAX ? calloc(1, sizeof(*u)) : NULL;
	if (!u || !slice_copy(slice_str(mailbox), u->mailbox, sizeof(u->mailbox)) ||
	    !(u->req = role_request_keep(req))) {
		free(u);
		role_answer_error(req, "too many mailboxes are being counted", "try again");
		return;
	}
	u->work.data = u;
	u->root = root;
	at_once++;
	if (uv_queue_work(r->loop, &u->work, work, on_worked) < 0) {
		at_once--;
		role_answer_error(u->req, "there is no thread for it", "try again");
		free(u);
	}
}
