-- What is noted of who did what. by: id of the key that asks, entries that a tenant's log keeps, seconds that it keeps them; empty
-- where nobody asked or no log is kept. More words are names and values of the entry. The log is about so long and never older:
-- it is cut at every entry, and one that gets none expires.
local function note(tenant, by, action, subject, ...)
  local key, entries, kept_s = string.match(by or '', '^(%S+) (%d+) (%d+)$')
  if not key then return end
  local log = p .. ':audit:' .. tenant
  local id = redis.call('XADD', log, 'MAXLEN', '~', entries, '*', 'a', action, 'k', key, 'i', subject, ...)
  redis.call('XTRIM', log, 'MINID', string.format('%.0f', string.match(id, '^%d+') - kept_s * 1000))
  redis.call('EXPIRE', log, kept_s)
end

