/* DebugControl. */
#include "busd.h"

void
debug_accepted(void)
{
}
