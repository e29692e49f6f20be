-- What is noted of who did what. by: id of the key that asks, entries that a tenant's log keeps, seconds that it keeps them; empty
-- where nobody asked or no log is kept.
local function read_by(by) return string.match(by or '', '^(%S+) (%d+) (%d+)$') end

-- A log is about so long and never older: it is cut at every entry, and one that gets none expires. Returns the entry's id.
local function append(log, entries, kept_s, ...)
  local id = redis.call('XADD', log, 'MAXLEN', '~', entries, ...)
  redis.call('XTRIM', log, 'MINID', string.format('%.0f', string.match(id, '^%d+') - kept_s * 1000))
  redis.call('EXPIRE', log, kept_s)
  return id
end

-- More words are names and values of the entry. Returns its id, or nil where nothing is noted.
local function note(tenant, by, action, subject, ...)
  local key, entries, kept_s = read_by(by)
  if not key then return nil end
  return append(p .. ':audit:' .. tenant, entries, kept_s, '*', 'a', action, 'k', key, 'i', subject, ...)
end

-- What somebody said with an entry stands apart, under the entry's id: it goes with all of a tenant's, the entry does not.
local function quote(tenant, by, id, said)
  local _, entries, kept_s = read_by(by)
  append(p .. ':consents:' .. tenant, entries, kept_s, id, 'c', said)
end

