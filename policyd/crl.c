#include "ca.h"

void
crl_changed(unsigned generation, store_fn fn, void *arg)
{
}
__attribute__((weak)) bool
issued_any_valid(unsigned generation, uint64_t now)
{
	return true;
}
