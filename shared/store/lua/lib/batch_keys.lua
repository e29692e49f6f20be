local function batch_key(id) return p .. ':batch:' .. id end
local function open_key(id) return p .. ':open:' .. id end
local function ended_key(id, log) return p .. ':ended:' .. log .. ':' .. id end
local function log_key(id, log) return p .. ':log:' .. log .. ':' .. id end
local function intake_key(id) return p .. ':intake:' .. id end
