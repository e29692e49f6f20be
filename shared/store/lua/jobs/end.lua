--- @include lib/core
--- @include lib/audit
--- @include lib/webhooks
--- @include lib/lifecycle
--- @include lib/single_flight
-- ARGV: prefix, id, attempt, expiry_s, status, error or '', what was found (a line each). The holder ends the job: failed or canceled.
-- Returns 'done' or 'lost'.
local job = read(ARGV[2])
if not speaks(job, ARGV[3]) then return 'lost' end
if ARGV[5] == 'failed' then fail(job, ARGV[6], ARGV[4], ARGV[7]) else close(job, ARGV[5], ARGV[4]) end
return 'done'
