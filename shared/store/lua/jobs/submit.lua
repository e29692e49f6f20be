--- @include lib/core
--- @include lib/audit
--- @include lib/webhooks
--- @include lib/lifecycle
--- @include lib/single_flight
-- ARGV: prefix, id, lane, tenant, units, spec, requests or '', pixels, by, the job that it does over or '', then more fields of the
-- record. A second submit of the same id changes nothing.
-- With requests, the job counts as so many, and its units count, against the tenant's limits.
-- Returns {1, submitted at, as charge...}, {2, '', as charge or too_large...} when it is refused, or {0}.
local id = ARGV[2]
if redis.call('EXISTS', record(id)) == 1 then return {0} end
local refused = too_large(tonumber(ARGV[8]))
if refused then return {2, '', unpack(refused)} end
local charged = {}
if ARGV[7] ~= '' then
  charged = charge(ARGV[4], tonumber(ARGV[7]), tonumber(ARGV[5]))
  if charged[1] ~= '' then return {2, '', unpack(charged)} end
end
local at = create({id = id, lane = ARGV[3], tenant = ARGV[4], units = ARGV[5]}, ARGV[6], unpack(ARGV, 11))
redis.call('ZADD', p .. ':jobs:' .. ARGV[4], at, id)
if ARGV[10] == '' then
  note(ARGV[4], ARGV[9], 'job.submitted', id)
else
  redis.call('HSET', record(id), 'of', ARGV[10])
  note(ARGV[4], ARGV[9], 'job.retried', id, 'd', ARGV[10])
end
return {1, at, unpack(charged)}
