-- The registry's schema and functions: a function of a table of options. `guest`: whoever connects without a name may use it.
return function(options)
    if options.guest then
        box.schema.user.grant('guest', 'read,execute', 'universe', nil, { if_not_exists = true })
    end
end
