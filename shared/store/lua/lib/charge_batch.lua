--- @include lib/rate_and_quota
-- Charges a batch. Without requests (nil) nothing counts. A request that is repeated because its first response got lost
-- counts nothing and gets the state of the limits. Returns as charge, or {} where nothing counts.
local function charge_batch(tenant, requests, units, is_repeated)
  if not requests then return {} end
  if is_repeated then requests, units = 0, 0 end
  return charge(tenant, requests, units)
end
