#include "cli/identity.h"

#include <pwd.h>
#include <string.h>

#include "conf/file.h"
#include "smtp/path.h"

#define FILE_MAX (256U << 10)
#define MAILNAME "/etc/mailname"
#define HOSTS	 "/etc/hosts"

static struct slice next_word(struct slice *line)
{
	struct slice word;
	size_t n = 0;

	cur_blanks(line);
	while (n < line->n && line->p[n] != ' ' && line->p[n] != '\t' && line->p[n] != '\r')
		n++;
	word = slice_head(*line, n);
	*line = slice_tail(*line, n);
	if (word.n == 0)
		*line = slice_head(*line, 0);
	return word;
}

static struct slice next_line(struct slice *text)
{
	struct slice line = slice_head(*text, slice_find(*text, '\n'));

	*text = slice_tail(*text, line.n < text->n ? line.n + 1 : line.n);
	return slice_head(line, slice_find(line, '#'));
}

bool cli_identity_whole_name(struct slice hosts, struct slice name, char to[static 256])
{
	while (hosts.n > 0) {
		struct slice line = next_line(&hosts), word, dotted = SLICE_LIT("");
		bool ours = false;

		(void)next_word(&line); /* the address */
		while ((word = next_word(&line)).n > 0) {
			ours = ours || slice_eq_nocase(word, name);
			if (dotted.n == 0 && slice_find(word, '.') < word.n)
				dotted = word;
		}
		if (ours && dotted.n > 0 && slice_copy(dotted, to, 256))
			return true;
	}
	return false;
}

/* RFC 5322 3.2.3; what is not ASCII may stand there, too (RFC 6532). */
static bool is_atext(unsigned char c)
{
	return c >= 0x80 || (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
	       memchr("!#$%&'*+-/=?^_`{|}~", c, 19);
}

void cli_identity_local_part(struct slice login, char to[static 160])
{
	bool plain = login.n > 0 && login.n < SMTP_LOCAL_PART_MAX, dot = true;
	size_t n = 0;

	for (size_t i = 0; i < login.n; i++) {
		plain = plain && (is_atext(login.p[i]) || (login.p[i] == '.' && !dot));
		dot = login.p[i] == '.';
	}
	if (plain && !dot && slice_copy(login, to, 160))
		return;
	to[n++] = '"';
	for (size_t i = 0; i < login.n && n < SMTP_LOCAL_PART_MAX - 3; i++) {
		if (login.p[i] < 32 || login.p[i] == 127)
			continue;
		if (login.p[i] == '"' || login.p[i] == '\\')
			to[n++] = '\\';
		to[n++] = (char)login.p[i];
	}
	to[n++] = '"';
	to[n] = '\0';
}

void cli_identity_gecos(struct slice gecos, struct slice login, char to[static 256])
{
	size_t n = 0;

	gecos = slice_trim(slice_head(gecos, slice_find(gecos, ',')));
	for (size_t i = 0; i < gecos.n && n < 200; i++) {
		if (gecos.p[i] == '&') {
			for (size_t k = 0; k < login.n && n < 200; k++) {
				bool small = k == 0 && login.p[0] >= 'a' && login.p[0] <= 'z';

				to[n++] = (char)(small ? login.p[0] - 'a' + 'A' : login.p[k]);
			}
		} else if (gecos.p[i] >= 32 && gecos.p[i] != 127) {
			to[n++] = (char)gecos.p[i];
		}
	}
	to[n] = '\0';
}

static void find_user(struct cli_identity *id)
{
	char room[4096], number[32];
	struct passwd entry, *found = NULL;
	struct slice login;

	if (getpwuid_r(getuid(), &entry, room, sizeof(room), &found) != 0)
		found = NULL;
	/* In a container the user is often a number only. */
	snprintf(number, sizeof(number), "uid%u", (unsigned)getuid());
	login = slice_str(found ? found->pw_name : number);
	cli_identity_local_part(login, id->user);
	cli_identity_gecos(slice_str(found ? found->pw_gecos : ""), login, id->full_name);
}

static bool take_domain(struct slice name, char to[static 256])
{
	struct buf b;
	bool ok;

	buf_init_in(&b, to, 255);
	ok = name.n > 0 && smtp_domain_put_canonical(name, &b) && buf_ok(&b);
	to[ok ? buf_slice(&b).n : 0] = '\0';
	return ok;
}

static bool read_machine(char to[static 256])
{
	char name[256] = "", whole[256];
	bool ok = false;
	struct buf b;

	if (gethostname(name, sizeof(name) - 1) < 0)
		return false;
	buf_init(&b, FILE_MAX);
	if (!strchr(name, '.') && conf_file_read(HOSTS, &b) == 0 &&
	    cli_identity_whole_name(buf_slice(&b), slice_str(name), whole))
		ok = take_domain(slice_str(whole), to);
	buf_done(&b);
	return ok || take_domain(slice_str(name), to);
}

static bool read_domain(struct cli_identity *id)
{
	bool named = read_machine(id->machine), ok;
	struct slice text;
	struct buf b;

	buf_init(&b, FILE_MAX);
	(void)conf_file_read(MAILNAME, &b);
	text = buf_slice(&b);
	ok = take_domain(slice_trim(next_line(&text)), id->domain);
	buf_done(&b);
	return ok || (named && slice_copy(slice_str(id->machine), id->domain, sizeof(id->domain)));
}

void cli_identity_find(struct cli_identity *ret)
{
	memset(ret, 0, sizeof(*ret));
	find_user(ret);
	if (!read_domain(ret))
		(void)slice_copy(SLICE_LIT("localhost"), ret->domain, sizeof(ret->domain));
}
