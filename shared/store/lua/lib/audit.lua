-- The audit log. by: id of the key that asks, entries that a tenant's log keeps, seconds that it keeps them; nil or empty
-- where no key asks or no log is kept.
local function read_by(by) return string.match(by or '', '^(%S+) (%d+) (%d+)$') end

-- A log has about so many entries and none older than kept_s: it is cut at every entry, and without entries it expires.
-- Returns the entry's id.
local function append(log, entries, kept_s, ...)
  local id = redis.call('XADD', log, 'MAXLEN', '~', entries, ...)
  redis.call('XTRIM', log, 'MINID', string.format('%.0f', string.match(id, '^%d+') - kept_s * 1000))
  redis.call('EXPIRE', log, kept_s)
  return id
end

-- The arguments after subject are more fields of the entry. Returns its id, or nil where nothing is recorded.
local function record_action(tenant, by, action, subject, ...)
  local key, entries, kept_s = read_by(by)
  if not key then return nil end
  return append(p .. ':audit:' .. tenant, entries, kept_s, '*', 'a', action, 'k', key, 'i', subject, ...)
end

-- The consent given with an entry is stored apart, under the entry's id: erasing a tenant deletes it, not the entry.
local function record_consent(tenant, by, id, consent)
  local _, entries, kept_s = read_by(by)
  append(p .. ':consents:' .. tenant, entries, kept_s, id, 'c', consent)
end
