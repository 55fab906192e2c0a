/* no licence here */
#include <stdio.h>

static void copy(char *to, const char *from)
{
    strcpy(to, from);
    sprintf(to, "%s", from); /* said */
    int n = atoi(from);
    system("reboot");
    sleep(n);
    if (n)
        goto out;
    log_info("copied %d", n);
out:
    exit (1);
}
