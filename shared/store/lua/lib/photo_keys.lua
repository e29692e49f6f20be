local function photo_key(tenant, photo) return p .. ':photo:' .. tenant .. ':' .. photo end
local function faces_key(tenant, photo) return p .. ':faces:' .. tenant .. ':' .. photo end
local function deleting_key(tenant, photo) return p .. ':deleting:' .. tenant .. ':' .. photo end
local function pending_faces_key(tenant, photo) return p .. ':pending_faces:' .. tenant .. ':' .. photo end
-- Set for a while after a photo was erased.
local function erased_photo_key(tenant, photo) return p .. ':erased:' .. tenant .. '/photo/' .. photo end
-- Seconds that deleting a photo's blobs may take, or those of a result without references.
local DELETE_S = 60
