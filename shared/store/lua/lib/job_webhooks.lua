--- @include lib/job_keys
--- @include lib/messages
--- @include lib/webhook_keys
-- The message about a job that has just ended.
local function tell_job_end(job, status)
  if redis.call('EXISTS', webhooks_key(job.tenant)) == 0 then return end
  local f = redis.call('HMGET', job_key(job.id), 'batch', 'line', 'error')
  send_message(job.tenant, 'job.' .. status, job.id, table.concat({
    '{"id":', cjson.encode(job.id), ',"status":"', status, '","lane":"', job.lane,
    '","batch":', f[1] and cjson.encode(f[1]) or 'null', ',"line":', tonumber(f[2]) and f[2] or 'null',
    ',"attempt":', job.attempt, ',"error":', f[3] or 'null', '}',
  }))
end
