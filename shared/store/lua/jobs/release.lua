--- @include lib/job_record
--- @include lib/leases
--- @include lib/lifecycle
--- @args id attempt:number expiry_s:number
-- The holder gives the job back because its worker stops; it does not count as a loss.
-- Returns 'done', 'canceled' or 'lost'.
local job = read_job(id)
if not is_current(job, attempt) then return 'lost' end
requeue(job, expiry_s)
return job.cancel and 'canceled' or 'done'
