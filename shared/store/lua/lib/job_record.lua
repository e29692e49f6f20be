--- @include lib/job_keys
local OVER = {succeeded = true, failed = true, canceled = true, expired = true}

-- What every decision needs of a record, nil when there is no such job. Units are millionths (shared/store/units.py).
local function read_job(id)
  local f = redis.call('HMGET', job_key(id), 'lane', 'tenant', 's', 'due', 'n', 'holder', 'cancel', 'units', 'at', 'owns',
    'waits', 'batch', 'try', 'until')
  if not f[1] then return nil end
  return {
    id = id, lane = f[1], tenant = f[2], status = f[3] or 'queued', due = f[4],
    attempt = tonumber(f[5] or 0), holder = f[6] or '', cancel = f[7], units = tonumber(f[8]), at = tonumber(f[9]),
    owns = f[10] or nil, waits = f[11] or nil,
    batch = f[12] or nil, try = tonumber(f[13] or 0), last = f[14],
  }
end
