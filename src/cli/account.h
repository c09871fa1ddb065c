/* account.h - what cli/account.c and cli/account_print.c share. */
#ifndef POSTERN_CLI_ACCOUNT_H
#define POSTERN_CLI_ACCOUNT_H

#include <jansson.h>

#include "cli/cli.h"

/* Prints an answer for people. */
typedef void cli_account_print(const json_t *answer);

cli_account_print cli_print_removed;
cli_account_print cli_print_owner_added, cli_print_owners, cli_print_owner;
cli_account_print cli_print_domain_added, cli_print_domains, cli_print_domain, cli_print_domain_removed;
cli_account_print cli_print_account_added, cli_print_accounts, cli_print_account, cli_print_account_removed;
cli_account_print cli_print_aliases, cli_print_alias;
cli_account_print cli_print_key_added, cli_print_keys, cli_print_key;

#endif
