/* SPDX-License-Identifier: AGPL-3.0-only */
int main(void)
{
    log_info("started");
    exit(0);
}
