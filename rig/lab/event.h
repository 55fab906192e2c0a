/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/* What happens to a device or a component, for timelines. */
enum lab_event_kind {
    LAB_START, /* switched on, started */
    LAB_READY, /* serves: logged in to, answers */
    LAB_STOP,  /* stopped, power cut, killed: by the rig */
    LAB_DIED,  /* ended by itself */
    LAB_PAUSE,
    LAB_RESUME,
    LAB_LINK,  /* its network changed: text says how */
    LAB_STATE, /* what the platform says of it changed: "Reachable=False", "hello: Running" */
    LAB_LOG,   /* a notable line of its log */
};
const char *lab_event_text(enum lab_event_kind kind); /* "start", "ready", ... */

/* Called from any thread, one call at a time. `lane` is the device's or the component's name. */
typedef void lab_on_event(enum lab_event_kind kind, const char *lane, const char *text,
                          void *userdata);
