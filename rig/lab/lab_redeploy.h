/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/* What a lab that stays up is asked for while its components are developed. */

#include "rig/lab/lab.h"

/* Programs are taken from this folder from now on. */
void lab_programs(struct lab *lab, const char *dir);
/* Makes the device run the agent of that folder by its score: nothing travels and nothing restarts
 * when it does already. Returns after the score's smoke test. */
int lab_redeploy_agent(struct lab *lab, const char *device, struct err **err);
/* The same for the operator. It is restarted also when its file was replaced under it. */
int lab_redeploy_operator(struct lab *lab, struct err **err);

/* How others reach NATS on this host: "nats://127.0.0.1:PORT", which the caller frees, and as whom;
 * these are the lab's. */
int lab_nats(struct lab *lab, char **ret_url, const char **ret_user, const char **ret_password,
             struct err **err);
