--- @include lib/job_record
--- @include lib/leases
--- @include lib/lost_leases
--- @args id worker max_losses:number expiry_s:number error
-- The worker's supervisor saw its executor die under this job. Returns 1, or 0 when the executor did not hold the job.
local job = read_job(id)
if not job or not is_held(job) or job.holder:sub(1, #worker + 1) ~= worker .. '/' then return 0 end
lose_lease(job, max_losses, expiry_s, error)
return 1
