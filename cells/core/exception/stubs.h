/* Where the entry stub of a vector is: plain numbers, for assembly too. */
#pragma once

#define EXCEPTION_STUB_BYTES 4
#define EXCEPTION_HOP_BYTES  16 /* behind each 32 stubs */
