/* Host and port that a pasted text names, and whether it holds a secret.  Nothing is taken from a word that
 * could be one: what stands before an @, behind "password", in a path or a URL's user part. */
#include "advise/explain_private.h"

#include <string.h>

#include "base/ip.h"

struct found {
	struct slice host;
	uint16_t port;
	unsigned sure;
};

static bool digit(unsigned char c)
{
	return c >= '0' && c <= '9';
}

static bool alnum(unsigned char c)
{
	return digit(c) || (c >= 'a' && c <= 'z');
}

/* Words end at these.  Not at @ : / \ [ ] . - which say what a word is. */
static bool ends_word(unsigned char c)
{
	return c <= ' ' || memchr("'\"`,;()<>{}=|", c, 13) != NULL;
}

static bool is_one_of(struct slice word, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (slice_eq(word, slice_str(list[i])))
			return true;
	return false;
}

#define IS_ONE_OF(word, list) is_one_of(word, list, sizeof(list) / sizeof(list[0]))

/* main.py, smtp.rb: two labels of which the last is a source file's. */
static bool is_file(struct slice name)
{
	static const char *const endings[] = { "py",   "js",   "mjs", "cjs",  "ts",   "php", "c",   "h",
					       "cc",   "cpp",  "go",  "rb",   "cs",   "pl",  "pm",  "rs",
					       "kt",   "vb",   "so",  "java", "pem",  "crt", "key", "log",
					       "conf", "json", "yml", "yaml", "env",  "exe", "dll", "txt",
					       "ini",  "sh",   "xml", "jar",  "html", "eml", "cnf", "scala" };
	size_t dot = slice_rfind(name, '.');

	return slice_find(name, '.') == dot && IS_ONE_OF(slice_tail(name, dot + 1), endings);
}

static bool is_name(struct slice s)
{
	size_t label = 0, dots = 0;

	if (s.n == 0 || s.n > ADVISE_HOST_MAX)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '.') {
			if (label == 0 || s.p[i - 1] == '-')
				return false;
			label = 0;
			dots++;
		} else if (!alnum(s.p[i]) && (s.p[i] != '-' || label == 0)) {
			return false;
		} else if (++label > 63) {
			return false;
		}
	}
	/* The last label of no name is a number. */
	return dots > 0 && label > 1 && !digit(s.p[s.n - 1]) && !is_file(s);
}

static bool is_host(struct slice s)
{
	struct ip ip;

	return slice_eq(s, SLICE_LIT("localhost")) || is_name(s) || ip_parse(s, &ip);
}

static bool take_port(struct slice s, uint16_t *ret)
{
	uint64_t port;

	if (!cur_u64(&s, 65535, &port) || port == 0 || (s.n > 0 && alnum(s.p[0])))
		return false;
	*ret = (uint16_t)port;
	return true;
}

/* "host", "2001:db8::1", "host:25", "host[192.0.2.1]:25:", "[host]:587", each with a full stop or colon
 * behind. */
static bool parse_place(struct slice s, struct found *ret)
{
	struct found f = { .host = s };
	struct slice host, behind;
	struct ip ip;

	if (slice_find(s, ':') < s.n && ip_parse(s, &ip)) {
		*ret = f;
		return true;
	}
	while (s.n > 0 && (s.p[s.n - 1] == '.' || s.p[s.n - 1] == ':'))
		s.n--;
	if (s.n > 0 && s.p[0] == '[') {
		host = slice_tail(slice_head(s, slice_find(s, ']')), 1);
		behind = slice_tail(s, host.n + 2);
	} else {
		size_t bracket = slice_find(s, '['), colon = slice_find(s, ':');

		host = slice_head(s, bracket < colon ? bracket : colon);
		behind = bracket < colon ? slice_tail(s, slice_find(s, ']') + 1) : slice_tail(s, host.n);
	}
	if (!is_host(host) || (behind.n > 0 && (!cur_byte(&behind, ':') || !take_port(behind, &f.port))))
		return false;
	/* "10.0.0.1:3433->192.0.2.1:465": the first is our own; ":853:30" is a place in a program. */
	if (behind.n > 0 && (behind.p[behind.n - 1] == '-' ||
			     (slice_find(behind, ':') < behind.n && digit(behind.p[behind.n - 1]))))
		return false;
	f.host = host;
	f.sure = f.port ? 3 : 0;
	*ret = f;
	return true;
}

static size_t find_scheme(struct slice word)
{
	for (size_t i = 0; i + 3 <= word.n; i++)
		if (memcmp(word.p + i, "://", 3) == 0)
			return i;
	return word.n;
}

/* smtp://user:password@host:587/ - in the password anything but a blank may stand, so the last @ counts. */
static bool parse_url(struct slice run, size_t colon, struct found *ret)
{
	static const char *const schemes[] = { "smtp", "smtps", "submission", "submissions",
					       "ssl",  "tls",	"tcp" };
	struct slice place = slice_tail(run, colon + 3);
	size_t at = slice_rfind(place, '@'), begin = colon, n = 0;

	while (begin > 0 && alnum(run.p[begin - 1]))
		begin--;
	if (!IS_ONE_OF(slice_tail(slice_head(run, colon), begin), schemes))
		return false;
	if (at < place.n)
		place = slice_tail(place, at + 1);
	while (n < place.n && (alnum(place.p[n]) || memchr(".-:[]", place.p[n], 5)))
		n++;
	if (!parse_place(slice_head(place, n), ret))
		return false;
	ret->sure = 3;
	return true;
}

/* Behind these a host's name stands by itself. */
static bool names_host(struct slice before)
{
	static const char *const words[] = { "host",	  "server",	"hostname",   "enotfound",
					     "to",	  "lookup",	"for",	      "smtp_host",
					     "mail_host", "mailhost",	"smtpserver", "smtp-server",
					     "resolve",	  "email_host", "smtp",	      "address",
					     "eai_again", "with",	"h" };

	/* "host, port: smtp.example.org, 465" */
	if (slice_eq(before, SLICE_LIT("port:")))
		return true;
	while (before.n > 0 && (before.p[before.n - 1] == ':' || before.p[before.n - 1] == '='))
		before.n--;
	return IS_ONE_OF(before, words);
}

static bool is_secret_word(struct slice s)
{
	static const char *const words[] = { "pass",   "password", "passwd",	      "pwd",
					     "secret", "token",	   "--user",	      "-u",
					     "user",   "key",	   "--auth-password", "-ap" };

	while (s.n > 0 && (s.p[s.n - 1] == ':' || s.p[s.n - 1] == '='))
		s.n--;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		struct slice w = slice_str(words[i]);

		/* MAIL_PASSWORD, EMAIL_HOST_PASSWORD, smtp-pass */
		if (s.n >= w.n && slice_eq(slice_tail(s, s.n - w.n), w) &&
		    (s.n == w.n || s.p[s.n - w.n - 1] == '_' || s.p[s.n - w.n - 1] == '-'))
			return true;
	}
	return false;
}

static bool parse_word(struct slice word, struct slice before, struct found *ret)
{
	if (is_secret_word(before) || slice_find(word, '@') < word.n || slice_find(word, '/') < word.n ||
	    slice_find(word, '\\') < word.n || !parse_place(word, ret))
		return false;
	if (route_provider_of_host(ret->host) || ret->sure)
		return true;
	ret->sure = 2;
	return names_host(before);
}

/* "port 465", "port: 465", and Java's "host, port: localhost, 465"; not a server's "use port 465". */
static bool names_port(const struct slice before[static 3])
{
	static const char *const advises[] = { "use", "or", "with" };

	if (slice_starts(before[1], SLICE_LIT("port:")))
		return true;
	if (!slice_starts(before[0], SLICE_LIT("port")) || is_secret_word(before[0]) ||
	    IS_ONE_OF(before[1], advises))
		return false;
	return !(slice_eq(before[1], SLICE_LIT("on")) && slice_eq(before[2], SLICE_LIT("in")));
}

/* Up to the next blank. */
static struct slice run_of(struct slice s)
{
	size_t n = 0;

	while (n < s.n && s.p[n] > ' ')
		n++;
	return slice_head(s, n);
}

static struct slice word_of(struct slice s)
{
	size_t n = 0;

	while (n < s.n && !ends_word(s.p[n]))
		n++;
	return slice_head(s, n);
}

void advise_where(const struct advise_paste *t, struct advise_explained *ret)
{
	struct found best = { .sure = 0 }, f;
	struct slice all = slice_of(t->p, t->n), before[3] = { 0 };
	uint16_t port = 0, p;

	for (;;) {
		struct slice word, run;
		bool good;

		while (all.n > 0 && ends_word(all.p[0]))
			all = slice_tail(all, 1);
		if (all.n == 0)
			break;
		run = run_of(all);
		word = word_of(all);
		if (find_scheme(run) < run.n) {
			good = parse_url(run, find_scheme(run), &f);
			word = run;
		} else {
			/* "Client host [192.0.2.7] blocked": that is who asked. */
			good = parse_word(word, before[0], &f) && !slice_eq(before[1], SLICE_LIT("client"));
		}
		all = slice_tail(all, word.n);
		if (good && (!best.host.n || f.sure > best.sure))
			best = f;
		if (!port && names_port(before) && take_port(word, &p))
			port = p;
		before[2] = before[1];
		before[1] = before[0];
		before[0] = word;
	}
	if (best.host.n)
		(void)slice_copy(best.host, ret->host, sizeof(ret->host));
	ret->port = best.port ? best.port : port;
}

/* Base64 of some length, as AUTH has it. */
static bool base64_at(const struct advise_paste *t, size_t at)
{
	size_t n = 0;

	while (at + n < t->n && (alnum(t->p[at + n]) || memchr("+/=", t->p[at + n], 3)))
		n++;
	return n >= 12;
}

bool advise_has_secret(const struct advise_paste *t)
{
	static const char *const auth[] = { "auth plain ", "auth login ", "auth xoauth2 ",
					    "auth oauthbearer " };
	struct slice all = slice_of(t->p, t->n);

	for (size_t i = 0; i < sizeof(auth) / sizeof(auth[0]); i++) {
		size_t n = strlen(auth[i]);

		for (size_t at = advise_find(t, 0, slice_str(auth[i])); at < t->n;
		     at = advise_find(t, at + n, slice_str(auth[i])))
			if (base64_at(t, at + n))
				return true;
	}
	if (advise_says(t, "pass: '|pass: \"|password: '|password: \"|pass\": \"|password\": "
			   "\"|password=|passwd=|pwd=|pass='"))
		return true;
	/* user:password@ in a URL */
	while (all.n > 0) {
		struct slice rest = slice_tail(all, find_scheme(all)), place = run_of(slice_tail(rest, 3));

		if (slice_find(place, ':') < slice_rfind(place, '@') && slice_rfind(place, '@') < place.n)
			return true;
		all = slice_tail(rest, 3);
	}
	return false;
}
