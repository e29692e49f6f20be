--- @include lib/core
--- @include lib/audit
--- @include lib/webhooks
--- @include lib/lifecycle
--- @include lib/single_flight
-- ARGV: prefix, id, attempt, expiry_s, error, most tries, first pause_s. Something transient stopped the holder:
-- the job pauses, twice as long every time, and fails when it was tried too often.
-- Returns 'done', 'failed', 'canceled' or 'lost'.
local job = read(ARGV[2])
if not speaks(job, ARGV[3]) then return 'lost' end
if job.cancel then
  close(job, 'canceled', ARGV[4])
  return 'canceled'
end
local tries = redis.call('HINCRBY', record(job.id), 'tries', 1)
if tries > tonumber(ARGV[6]) then
  fail(job, ARGV[5], ARGV[4])
  return 'failed'
end
pause(job, now() + tonumber(ARGV[7]) * 2 ^ (tries - 1), ARGV[4])
return 'done'
