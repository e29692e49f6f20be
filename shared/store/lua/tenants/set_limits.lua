--- @include lib/fair_schedule
--- @include lib/tenant_limits
--- @args tenant values...
-- Sets limits of a tenant: (limit, value or '' for none) each. They hold from now on.
for i = 1, #values, 2 do
  if values[i + 1] == '' then
    redis.call('HDEL', tenant_key(tenant), values[i])
  else
    redis.call('HSET', tenant_key(tenant), values[i], values[i + 1])
  end
end
unthrottle(tenant)
return 1
