/* text.h - what several subcommands print alike, and how spans of time are written. */
#ifndef POSTERN_CLI_TEXT_H
#define POSTERN_CLI_TEXT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* What strangers wrote goes to a terminal: no control characters, those between 80 and 9F
 * of Unicode neither.  lines: line ends and tabs are let through. */
void cli_print_clean(const char *s, bool lines);
void cli_put_clean(FILE *to, const char *s, bool lines);

/* Colours of what goes to standard output, once they are switched on (cli_colours()); else "". */
enum cli_colour { CLI_PLAIN, CLI_GREEN, CLI_YELLOW, CLI_RED, CLI_BOLD };
void cli_colours(bool on);
const char *cli_on(enum cli_colour c);
const char *cli_off(void);

/* "42s", "17m", "3h", "12d"; returns text. */
const char *cli_span(uint64_t ms, char text[static 16]);
/* "2048", "117K", "20M" */
const char *cli_octets(uint64_t n, char text[static 16]);
/* "2026-01-31 12:00:00", local time */
const char *cli_time(uint64_t ms, char text[static 32]);
/* "90s", "30m", "12h", "7d": seconds; false: it is none of these. */
bool cli_parse_span(const char *text, uint64_t *ret);
uint64_t cli_now_ms(void);

/* "" and 0 where there is none. */
const char *cli_member_text(const json_t *object, const char *key);
json_int_t cli_member_number(const json_t *object, const char *key);

/* "4.2.1 ", where the text of that key does not say it itself, as a server's reply does; else "". */
const char *cli_status_unsaid(const json_t *object, const char *key);

/* Text behind what stands on the line already, in lines of 79 columns, each further one indented. */
void cli_print_wrapped(const char *text, unsigned indent);
void cli_put_wrapped(FILE *to, const char *text, unsigned indent);

#endif
