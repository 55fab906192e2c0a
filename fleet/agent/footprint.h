/* SPDX-License-Identifier: AGPL-3.0-only */
#pragma once

/*
 * Gives back what starting up left in memory. Linking and initialising the TLS libraries touches some
 * 10 MB of code and tables that are hardly needed again; they are clean pages of files, and the
 * kernel would only drop them under pressure. Those that are needed are back after a page fault.
 */
void footprint_trim(void);
