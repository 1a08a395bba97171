// Intel ISA-L: CRC32C, CRC64 and (later) erasure coding, with x86-64 and arm64 kernels chosen at run time.
#include <isa-l/crc.h>
#include <isa-l/crc64.h>
