-- The registry of DMR clusters on Tarantool (2.6 and later): its spaces, the functions that clusters call, and the
-- journal of what changes. It routes no call and knows no cluster.
--
-- A chunk that returns a function of options; call it after box.cfg, and before box.cfg{listen}, so that nobody finds
-- half of it:
--
--     local registry = dofile('/etc/bmctl/registry.lua')
--     registry{user = 'dmr', password_file = '/etc/bmctl/tarantool.password'}
--
-- user, password_file: who may call the functions, and nothing else. guest = true: everybody may, without a password, and
-- may read the spaces; for a server that only this machine can reach.
--
-- A change made by hand is seen by all clusters at once:
--
--     box.space.Bans:replace{2621370, nil, 'noise'}
--     box.space.OverriddenNodes:insert{2501, 0, FORWARD_TRANSPORT_UDP, '192.0.2.7', 54000}

local clock = require('clock')
local fiber = require('fiber')
local log = require('log')
local utf8 = require('utf8')
local uuid = require('uuid')

-- What records of OverriddenNodes name.
for _, name in ipairs{'UDP', 'TLS', 'DIRECT', 'VSOCK', 'RDMA'} do
    rawset(_G, 'FORWARD_TRANSPORT_' .. name, 'FORWARD_TRANSPORT_' .. name)
end

-- Of the functions: a cluster that knows another number says so.
local PROTOCOL = 1
-- Changes that a cluster can have missed before it has to read everything anew.
local JOURNAL = 8192
-- Who can wait for a change at once, and how long one call waits for it, seconds.
local MAX_WAITING = 256
local MAX_WAIT = 10
-- The largest tuple that is handed out, bytes.
local MAX_TUPLE = 32768
-- The highest ID, and the longest name in bytes.
local MAX_ID = 4294967295
local MAX_NAME = 64
-- Records of a page that are only told of, since nothing can name them.
local MAX_REFUSED = 20
-- The most that an answer holds, bytes.
local MAX_ANSWER = 1048576

-- What there is to fields of a space: name, type, and whether it can be left out.
local function field(name, kind, required)
    return {name = name, type = kind, is_nullable = not required}
end

-- Fields have the places that docs/registry.md names.
local FORMATS = {
    Nodes = {
        field('id', 'unsigned', true), field('name', 'string'), field('address', 'string', true),
        field('port', 'unsigned', true), field('key', 'string'),
    },
    OverriddenNodes = {
        field('id', 'unsigned', true), field('options', 'unsigned'), field('transport', 'string', true),
        field('address', 'string'), field('port', 'unsigned'),
    },
    Devices = {
        field('id', 'unsigned', true), field('password', 'string'), field('call', 'string'), field('blocked', 'array'),
        field('single', 'boolean'),
    },
    Subscriptions = {
        field('id', 'unsigned', true), field('ts1', 'array'), field('ts2', 'array'), field('timed', 'array'),
    },
    GlobalProfiles = {
        field('id', 'unsigned', true), field('algorithm', 'unsigned'), field('key', 'string'),
        field('interval', 'unsigned'), field('capabilities', 'unsigned'), field('language', 'string'),
        field('active', 'boolean'), field('call', 'string'), field('ssid', 'unsigned'), field('symbol', 'string'),
        field('text', 'string'), field('name', 'string'), field('city', 'string'), field('state', 'string'),
        field('country', 'string'),
    },
    Talkgroups = {field('id', 'unsigned', true), field('name', 'string', true)},
    Bans = {
        field('id', 'unsigned', true), field('until_ms', 'unsigned'), field('reason', 'string'), field('by', 'string'),
        field('made_ms', 'unsigned'),
    },
    LastHeard = {
        field('radio', 'unsigned', true), field('alias', 'string'), field('destination', 'unsigned', true),
        field('group', 'boolean', true), field('context', 'unsigned', true), field('call', 'string'),
        field('slot', 'unsigned', true), field('session', 'string', true), field('started_ms', 'unsigned', true),
        field('seconds', 'number', true), field('refused', 'any'), field('ended', 'any'),
    },
    StoredValues = {field('name', 'string', true), field('value', 'any')},
    Peers = {
        field('id', 'unsigned', true), field('address', 'string'), field('key', 'string', true),
        field('learn_address', 'boolean'), field('enhanced', 'boolean'), field('talkgroups_in', 'array'),
        field('talkgroups_out', 'array'), field('rewrite', 'array'), field('own_id', 'unsigned'),
    },
}

-- Spaces that clusters follow; of what was last heard each has its own.
local FOLLOWED = {
    'Nodes', 'OverriddenNodes', 'Devices', 'Subscriptions', 'GlobalProfiles', 'Talkgroups', 'Bans', 'StoredValues', 'Peers',
}

-- Those that a cluster knows which does not say what it knows.
local KNOWN = {
    'Nodes', 'OverriddenNodes', 'Devices', 'Subscriptions', 'GlobalProfiles', 'Talkgroups', 'Bans', 'StoredValues',
}

local function create(names)
    for _, name in ipairs(names) do
        local space = box.schema.space.create(name, {if_not_exists = true, format = FORMATS[name]})
        space:create_index('primary', {
            if_not_exists = true, parts = {{field = 1, type = FORMATS[name][1].type}},
        })
    end
end

-- Each step leads from one version of the schema to the next, and can be done again where it was cut short.
local MIGRATIONS = {
    function()
        create{
            'Nodes', 'OverriddenNodes', 'Devices', 'Subscriptions', 'GlobalProfiles', 'Talkgroups', 'Bans', 'LastHeard',
            'StoredValues',
        }
    end,
    function() create{'Peers'} end,
    -- Hosts have keys.
    function() box.space.Nodes:format(FORMATS.Nodes) end,
}

local VERSION = 'dmr_registry_version'

local function migrate()
    local row = box.space._schema:get(VERSION)
    local version = row and row[2] or 0
    if version > #MIGRATIONS then
        error(('the schema has version %d, and this file knows those up to %d: take a newer one'):format(
            version, #MIGRATIONS))
    end
    while version < #MIGRATIONS do
        MIGRATIONS[version + 1]()
        version = version + 1
        box.space._schema:replace{VERSION, version}
        log.info('registry: the schema has version %d now', version)
    end
end

-- The journal: names of what has changed, the newest JOURNAL of them, of this life of the server.
local epoch = uuid.str()
local seq = 0
local names = {}
local news = fiber.cond()

local function publish(space, key)
    seq = seq + 1
    names[seq % JOURNAL] = {space, key}
    news:broadcast()
end

-- A space was emptied in this life of the journal: who has followed the one before asks an operator first.
local is_emptied = false

-- What was not told one by one: everybody reads everything anew.
local function start_anew(emptied)
    epoch, seq, names, is_emptied = uuid.str(), 0, {}, emptied
    news:broadcast()
end

local triggers = {}

local function watch()
    for _, name in ipairs(FOLLOWED) do
        local function on_replace(old, new)
            local key = (new or old)[1]
            -- What is committed is told; and what is not, since who has read it between has to read it again.
            box.on_commit(function() publish(name, key) end)
            box.on_rollback(function() publish(name, key) end)
        end
        box.space[name]:on_replace(on_replace, triggers[name])
        triggers[name] = on_replace
    end
    -- A space that is emptied calls no trigger of its own.
    local followed = {}
    for _, name in ipairs(FOLLOWED) do followed[box.space[name].id] = true end
    local function on_truncate(old, new)
        if followed[(new or old)[1]] then box.on_commit(function() start_anew(true) end) end
    end
    box.space._truncate:on_replace(on_truncate, triggers._truncate)
    triggers._truncate = on_truncate
end

local function cluster()
    local set = box.info.replicaset
    return set and set.uuid or box.info.cluster.uuid
end

local function space_of(name)
    local space = type(name) == 'string' and FORMATS[name] and box.space[name]
    if not space then
        error(('%s: no space of the registry'):format(tostring(name)))
    end
    return space
end

-- Whether a cluster can name a record by this.
local function is_key(key)
    if type(key) == 'string' then
        -- Control characters of ASCII, and those of Latin-1 in UTF-8.
        local controls = key:find('%c') or key:find('\xC2[\x80-\x9F]')
        return #key > 0 and #key <= MAX_NAME and utf8.len(key) ~= nil and not controls
    end
    return type(key) == 'number' and key <= MAX_ID
end

-- A row as it is handed out, and its bytes: key and tuple; key and size where that is too much, or the key is none.
local function hand_out(key, tuple)
    local size = tuple and tuple:bsize() or 0
    if not is_key(key) then
        return {tostring(key):sub(1, MAX_NAME) .. '\n(no key)', size}, MAX_NAME
    end
    if size > MAX_TUPLE then return {key, size}, MAX_NAME end
    return {key, tuple}, size
end

-- Which registry this is, how far it is, and what it has.
local function info()
    local count = 0
    for _, name in ipairs(FOLLOWED) do count = count + box.space[name]:len() end
    return {
        protocol = PROTOCOL, cluster = cluster(), version = box.info.signature, epoch = epoch, seq = seq, count = count,
        emptied = is_emptied, spaces = FOLLOWED,
    }
end

-- Records of a space after a key (nil: from the first on), in the order of their keys, at most so many. Those whose key is
-- none are told of up to MAX_REFUSED.
local function page(name, after, most)
    local found, size, good, bad = {}, 0, 0, 0
    local options = {iterator = after == nil and 'ALL' or 'GT'}
    for _, tuple in space_of(name).index[0]:pairs(after, options) do
        if good >= most or size > MAX_ANSWER then break end
        local key = tuple[1]
        if is_key(key) then good = good + 1 else bad = bad + 1 end
        if is_key(key) or bad <= MAX_REFUSED then
            local row, bytes = hand_out(key, tuple)
            found[#found + 1], size = row, size + bytes
        end
    end
    return found
end

-- Makes changes, all or none: {space, tuple} puts one, {space, nil, key} drops one, {space, tuple, nil, true} puts one
-- unless an operator's record is there.
local function write(changes)
    box.begin()
    local ok, why = pcall(function()
        for _, change in ipairs(changes) do
            local space, tuple, key, weakly = space_of(change[1]), change[2], change[3], change[4]
            if tuple == nil then
                space:delete(key)
            else
                local there = weakly and change[1] == 'Bans' and space:get(tuple[1])
                local is_operators = there and (there[4] == nil or there[4] == 'operator')
                    and (there[2] == nil or there[2] > clock.time() * 1000)
                if not is_operators then space:replace(tuple) end
            end
        end
    end)
    if not ok then
        box.rollback()
        error(why, 0)
    end
    box.commit()
    return {version = box.info.signature}
end

local waiting = 0

-- What has changed after number `since` of a life of the journal, in the spaces that are `known` to who asks: waits for it,
-- up to so many seconds. `resync`: that is not known any more, and everything is to be read anew.
local function wait(life, since, seconds, known)
    if life == epoch and since == seq then
        -- The server answers so many requests at once, and these are the only ones that stay.
        if waiting >= MAX_WAITING then error(('%d clusters wait already'):format(waiting)) end
        waiting = waiting + 1
        local ok, why = pcall(news.wait, news, math.max(0, math.min(tonumber(seconds) or 0, MAX_WAIT)))
        waiting = waiting - 1
        if not ok then error(why, 0) end
    end
    if life ~= epoch or since > seq or since < seq - JOURNAL then
        return {resync = true}
    end
    local wanted = {}
    for _, name in ipairs(type(known) == 'table' and known or KNOWN) do wanted[name] = true end
    local found, seen, size, upto = {}, {}, 0, since
    while upto < seq and size <= MAX_ANSWER and #found < 1000 do
        upto = upto + 1
        local name, key = unpack(names[upto % JOURNAL])
        local id = name .. '/' .. tostring(key)
        if wanted[name] and not seen[id] then
            seen[id] = true
            local row, bytes = hand_out(key, box.space[name]:get(key))
            found[#found + 1], size = {name, row[1], row[2]}, size + bytes
        end
    end
    return {seq = upto, version = box.info.signature, changes = found}
end

local FUNCTIONS = {
    dmr_registry_info = info, dmr_registry_page = page, dmr_registry_write = write, dmr_registry_wait = wait,
}

local function is_over(ban)
    return ban[2] ~= nil and ban[2] < clock.time() * 1000
end

-- Bans that are over are dropped here, once: a cluster cannot know whether another has made one longer.
local function drop_old_bans()
    while true do
        fiber.sleep(60)
        local over = {}
        for _, ban in box.space.Bans:pairs() do
            if is_over(ban) then over[#over + 1] = ban[1] end
        end
        for _, id in ipairs(over) do
            -- Somebody may have made it longer while another was dropped.
            local ban = box.space.Bans:get(id)
            if ban and is_over(ban) and not box.info.ro then pcall(box.space.Bans.delete, box.space.Bans, id) end
        end
    end
end

local function grant(user)
    for name in pairs(FUNCTIONS) do
        box.schema.user.grant(user, 'execute', 'function', name, {if_not_exists = true})
    end
end

local function password_of(path)
    local file, why = io.open(path)
    if not file then error(('registry: password_file: %s'):format(why)) end
    local password = file:read('*l')
    file:close()
    if not password or password == '' then error(('registry: password_file: %s is empty'):format(path)) end
    return password
end

local cleaner

return function(options)
    options = options or {}
    if not box.info.ro then
        migrate()
        for name in pairs(FUNCTIONS) do
            -- With the rights of who made them: callers have none to the spaces.
            box.schema.func.create(name, {setuid = true, if_not_exists = true})
        end
        if options.user then
            box.schema.user.create(options.user, {if_not_exists = true})
            box.schema.user.passwd(options.user, password_of(options.password_file))
            grant(options.user)
        end
        if options.guest then
            grant('guest')
            for name in pairs(FORMATS) do
                box.schema.user.grant('guest', 'read', 'space', name, {if_not_exists = true})
            end
        end
    end
    for name, code in pairs(FUNCTIONS) do rawset(_G, name, code) end
    for name in pairs(FORMATS) do
        if not box.space[name] then
            error(('registry: this instance is read-only and has no space %s yet: load the file first where it can be ' ..
                'written'):format(name))
        end
    end
    watch()
    start_anew(false)
    if cleaner then cleaner:cancel() end
    cleaner = fiber.new(drop_old_bans)
    cleaner:name('dmr_old_bans')
end
