--- @include lib/core
--- @include lib/audit
--- @include lib/webhooks
--- @include lib/lifecycle
--- @include lib/single_flight
-- ARGV: prefix, id, attempt, expiry_s. The holder gives the job back, uncounted: its worker goes away on purpose.
-- Returns 'done', 'canceled' or 'lost'.
local job = read(ARGV[2])
if not speaks(job, ARGV[3]) then return 'lost' end
put_back(job, ARGV[4])
return job.cancel and 'canceled' or 'done'
