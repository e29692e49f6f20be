--- @include lib/audit
--- @args tenant by action subject detail? once_s:number
-- Records an action that no other script records. With once_s, the same action by the same key is recorded once in that time:
-- polling the lines of a batch is one reading, not one a second.
local key = string.match(by, '^%S+')
if key and once_s > 0 then
  local recent = table.concat({p, 'recent', tenant, key, subject, detail or ''}, ':')
  if not redis.call('SET', recent, 1, 'NX', 'EX', once_s) then return end
end
if detail then
  record_action(tenant, by, action, subject, 'd', detail)
else
  record_action(tenant, by, action, subject)
end
