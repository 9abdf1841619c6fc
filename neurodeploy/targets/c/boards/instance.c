/* The state of one network, in a file of its own so that the linker's map tells its bytes. */
#include "network.h"

extern network record_net;
network record_net;
