--- @include lib/core
--- @include lib/audit
--- @include lib/webhooks
--- @include lib/lifecycle
--- @include lib/single_flight
-- ARGV: prefix, tenant, by, action, subject, detail or '', once_s. Notes what was done or read; with once_s, what this key does again
-- within so many seconds is not noted again. Somebody looked at their batch's lines: that is one reading, not one a second.
local key = string.match(ARGV[3], '^%S+')
local once_s = tonumber(ARGV[7])
if key and once_s > 0 then
  local lately = table.concat({p, 'read', ARGV[2], key, ARGV[5], ARGV[6]}, ':')
  if not redis.call('SET', lately, 1, 'NX', 'EX', once_s) then return end
end
if ARGV[6] == '' then
  note(ARGV[2], ARGV[3], ARGV[4], ARGV[5])
else
  note(ARGV[2], ARGV[3], ARGV[4], ARGV[5], 'd', ARGV[6])
end
