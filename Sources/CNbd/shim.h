// libnbd: the NBD client that `dog vdi import` and `export` and the conformance tests use.
#include <libnbd.h>
