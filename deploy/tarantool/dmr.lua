-- An instance of Tarantool that keeps the registry of DMR clusters on several hosts. On Debian:
--
--     apt-get install tarantool
--     install -d /etc/bmctl
--     install -m 644 registry.lua /etc/bmctl/registry.lua
--     install -m 640 -g tarantool /dev/stdin /etc/bmctl/tarantool.password   # the password, one line
--     install -m 644 dmr.lua /etc/tarantool/instances.enabled/dmr.lua
--     systemctl restart tarantool@dmr
--
-- and on each host of clusters, in the configuration of bmctl:
--
--     [registry]
--     url = "tarantool://dmr@192.0.2.1:3301"
--     password_file = "/etc/bmctl/registry.password"
--
-- Passwords of devices and of this user go over the network as they are: let it be one of yours, or put a TLS proxy before
-- it and write "tarantool+tls://".

box.cfg{
    -- 300,000 users need about 100 MiB.
    memtx_memory = 512 * 1024 * 1024,
    -- What was acknowledged outlives a loss of power.
    wal_mode = 'fsync',
}

dofile('/etc/bmctl/registry.lua'){user = 'dmr', password_file = '/etc/bmctl/tarantool.password'}

-- Last: nobody finds half of it.
box.cfg{listen = '0.0.0.0:3301'}
