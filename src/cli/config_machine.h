/* config_machine.h - does this machine have what a configuration names?
 *
 * What conf_parse() cannot know, for it reads no other file: certificates, users.
 */
#ifndef POSTERN_CLI_CONFIG_MACHINE_H
#define POSTERN_CLI_CONFIG_MACHINE_H

#include "conf/conf.h"

/* Appends findings: errors for certificates that the server would refuse; warnings for
 * files that we may not read, certificates that end soon, users that are missing.  True
 * if no error was among them. */
bool config_machine_check(const struct conf *conf, struct conf_finding **findings);

#endif
