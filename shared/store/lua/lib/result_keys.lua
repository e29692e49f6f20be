-- A result is named {tenant}/{stage}/{digest}.
local function owner_key(result) return p .. ':owner:' .. result end
local function followers_key(result) return p .. ':followers:' .. result end
local function outcome_key(result) return p .. ':outcome:' .. result end
local function references_key(result) return p .. ':references:' .. result end
local function erased_key(result) return p .. ':erased:' .. result end
local function result_of(tenant, stage, digest) return tenant .. '/' .. stage .. '/' .. digest end
