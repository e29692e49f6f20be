--- @include lib/core
--- @include lib/audit
--- @include lib/webhooks
--- @include lib/lifecycle
--- @include lib/single_flight
-- ARGV: prefix, id, attempt, lease_s, worker, stage, digest, looked (1: again, after 'made'), part... The holder did not find
-- the result of its stage stored and is about to make it, and the parts of it that are missing. It is a renewal, too.
-- Returns 'make', 'made' (by somebody else just now: look again), 'parked', or as renew does: 'lost', 'canceled', 'draining'.
local job = read(ARGV[2])
if not speaks(job, ARGV[3]) then return 'lost' end
redis.call('ZADD', leases(job.lane), now() + tonumber(ARGV[4]), job.id)
if job.cancel then return 'canceled' end
if redis.call('HGET', p .. ':worker:' .. ARGV[5], 'draining') == '1' then return 'draining' end

local results = {result_of(job, ARGV[6], ARGV[7])}
for i = 9, #ARGV do results[#results + 1] = job.tenant .. '/' .. ARGV[i] end
local waited = job.waits
local busy
for _, result in ipairs(results) do
  if result == waited then waited = nil end
  if ARGV[8] ~= '1' and redis.call('HGET', made(result), 'as') then return 'made' end
  local other = maker_of(result)
  if other and other.id ~= job.id and held(other) then busy = busy or result end
end

if not busy then
  for _, result in ipairs(results) do redis.call('SET', maker(result), job.id) end
  redis.call('HSET', record(job.id), 'makes', table.concat(results, '\n'))
  redis.call('HDEL', record(job.id), 'waits')
  if waited then call_next(waited) end
  return 'make'
end

take_out(job)
if job.status == 'running' then count_running(job, -1) end
redis.call('HSET', record(job.id), 's', 'queued', 'waits', busy)
redis.call('HDEL', record(job.id), 'holder', 'step', 'steps')
redis.call('ZADD', parked(job.lane), now(), job.id)
redis.call('ZADD', waiters(busy), job.at + (job.lane == 'interactive' and 0 or LATER_LANE), job.id)
-- Its turn was paid for; who waits has got nothing for it yet.
pay(job.lane, job.tenant, 0 - job.units)
announce(job.id)
ring_pump()
if job.waits and job.waits ~= busy then call_next(job.waits) end
return 'parked'
