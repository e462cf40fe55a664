/* The connection to the bus. */
#include "busd.h"

void
bus_publish(void)
{
}
