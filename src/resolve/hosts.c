#include "resolve/hosts.h"

#define DNS_PORT 53

static struct slice take_line(struct slice *text)
{
	struct slice line = slice_head(*text, slice_find(*text, '\n'));

	*text = slice_tail(*text, line.n + 1);
	return line;
}

static bool is_blank(unsigned char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* The next word of a line; false at its end. */
static bool take_word(struct slice *line, struct slice *ret)
{
	size_t n = 0;

	while (line->n > 0 && is_blank(line->p[0]))
		*line = slice_tail(*line, 1);
	while (n < line->n && !is_blank(line->p[n]))
		n++;
	*ret = slice_head(*line, n);
	*line = slice_tail(*line, n);
	return n > 0;
}

static bool names(struct slice line, const struct dns_name *name)
{
	struct slice word;

	while (take_word(&line, &word)) {
		if (word.p[word.n - 1] == '.')
			word.n--;
		if (slice_eq_nocase(word, dns_name_slice(name)))
			return true;
	}
	return false;
}

size_t hosts_find(struct slice text, const struct dns_name *name, uint8_t family,
		  struct ip to[static HOSTS_ADDRESSES_MAX], bool *ret_known)
{
	size_t n = 0;

	*ret_known = false;
	while (text.n > 0) {
		struct slice line = take_line(&text), word;
		struct ip ip;

		line = slice_head(line, slice_find(line, '#'));
		if (!take_word(&line, &word) || !names(line, name) || !ip_parse(word, &ip))
			continue;
		*ret_known = true;
		if (ip.family == family && n < HOSTS_ADDRESSES_MAX)
			to[n++] = ip;
	}
	return n;
}

static void add_server(struct slice line, struct resolv_conf *to)
{
	struct slice word;
	struct ip ip;

	/* An address with a zone (fe80::1%eth0) is none for us. */
	if (take_word(&line, &word) && ip_parse(word, &ip) && to->n_servers < RESOLVE_SERVERS_MAX)
		to->server[to->n_servers++] = (struct resolve_server){ .ip = ip, .port = DNS_PORT };
}

static void set_search(struct slice line, size_t max, struct resolv_conf *to)
{
	struct slice word;

	to->n_search = 0;
	while (to->n_search < max && take_word(&line, &word))
		if (dns_name_parse(word, &to->search[to->n_search]) && to->search[to->n_search].n > 0)
			to->n_search++;
}

void resolv_conf_parse(struct slice text, struct resolv_conf *ret)
{
	memset(ret, 0, sizeof(*ret));
	while (text.n > 0) {
		struct slice line = take_line(&text), word;

		if (!take_word(&line, &word) || word.p[0] == '#' || word.p[0] == ';')
			continue;
		if (slice_eq(word, SLICE_LIT("nameserver")))
			add_server(line, ret);
		else if (slice_eq(word, SLICE_LIT("search")))
			set_search(line, RESOLV_SEARCH_MAX, ret);
		else if (slice_eq(word, SLICE_LIT("domain")))
			set_search(line, 1, ret);
	}
}
