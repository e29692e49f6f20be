--- @include lib/core
--- @include lib/audit
--- @include lib/webhooks
--- @include lib/lifecycle
--- @include lib/single_flight
-- ARGV: prefix, tenant, then (limit, value or '' for none) a limit. What a tenant may have; it holds from now on.
for i = 3, #ARGV, 2 do
  if ARGV[i + 1] == '' then
    redis.call('HDEL', limits(ARGV[2]), ARGV[i])
  else
    redis.call('HSET', limits(ARGV[2]), ARGV[i], ARGV[i + 1])
  end
end
make_room(ARGV[2])
return 1
