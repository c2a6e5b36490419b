/* The subverbs of `delias ns` that look at what namespaces are made of, or were. */
#pragma once

int ns_log(int argc, char **argv);
int ns_diff(int argc, char **argv);
int ns_checkout(int argc, char **argv);
