--- @include lib/core
--- @include lib/audit
--- @include lib/webhooks
--- @include lib/lifecycle
--- @include lib/single_flight
-- ARGV: prefix, id, worker, most losses, expiry_s, error. The worker's parent saw its child die under this job.
-- Returns 1 when the job was the child's to lose.
local job = read(ARGV[2])
if not job or not held(job) or job.holder:sub(1, #ARGV[3] + 1) ~= ARGV[3] .. '/' then return 0 end
lose(job, ARGV[4], ARGV[5], ARGV[6])
return 1
