--- @include lib/rate_and_quota
--- @include lib/too_large
--- @args tenant requests:number units:number pixels:number
-- Counts a request that makes no job against the tenant's limits. Returns as charge or too_large do.
return too_large(pixels) or charge(tenant, requests, units)
