import Testing

@Suite(.timeLimit(.minutes(15))) struct DogUsageTests {
    @Test("bare dog and bare collie print help and succeed", arguments: ["dog", "/usr/bin/collie"])
    func bare(name: String) async throws {
        let dog = try await DogProcess.run([], name: name)
        #expect(dog.status == 0)
        #expect(dog.text.contains("USAGE: \(name.split(separator: "/").last!) <subcommand>"))
    }

    @Test(
        "wrong usage is told before any connection, with exit code 64",
        arguments: [
            (["vdi", "snapshot", "alice", "-s", "7"], "Please specify a non-integer value for a snapshot tag name\n"),
            (["vdi", "clone", "a", "b"], "Only snapshot VDIs can be cloned\nPlease specify the '-s' option\n"),
            (["vdi", "rollback", "a"], "Please specify the '-s' option\n"),
            (["vdi", "create", "a", "12X"], "The value '12X' is invalid"),
            (["vdi", "create", "a", "-1"], ""),
            (["vdi", "create", "a", "1G", "-z", "19"], ""),
            (["vdi", "create", "a", "1G", "-c", "32"], ""),
            (["vdi", "create", "a", "5P", "-z", "20"], "VDI size is larger than 4503599627370496 bytes"),
            (["vdi", "create", "a@b", "1G"], "The value 'a@b' is invalid"),
            (["vdi", "rename", "a"], ""),
            (["vdi", "rename", "a", "b@c"], "The value 'b@c' is invalid"),
            (["vdi", "delete", "a", "-s", "0"], ""),
            (["vdi", "setattr", "a", "k", "v", "-d"], "A value and '-d' exclude each other\n"),
            (["cluster", "format", "-b", "ext4"], "Invalid store 'ext4'"),
            (["vdi", "export", "a@t", "-", "-s", "t"], "'-s' and a snapshot in the name exclude each other"),
            (["node", "kill", "x"], ""),
            (["bogus"], ""),
        ])
    func wrongUsage(arguments: [String], text: String) async throws {
        // Nothing listens on port 1: a connection would be told with exit code 2.
        let dog = try await DogProcess.run(arguments, environment: ["SHEEPDOG_DOG_PORT": "1"])
        #expect(dog.status == 64, "\(dog.error)")
        #expect(dog.error.hasPrefix(text), "\(dog.error)")
        #expect(dog.error.contains("Usage: dog"))
    }

    @Test("no sheep: the address and the reason, exit code 2, for every noun")
    func noSheep() async throws {
        try await DeafPort.with { port in
            for command in [["vdi", "list"], ["cluster", "info"], ["node", "info", "-r"], ["vdi", "create", "a", "1G"]] {
                let dog = try await DogProcess.run(command, port: port)
                let text = "failed to connect to 127.0.0.1:\(port): Connection refused\nFailed to get node list\n"
                #expect(dog.error == text)
                #expect(dog.status == 2)
                #expect(dog.output.isEmpty)
            }
        }
    }

    @Test("address and port come from options, else from the environment; a bad port is refused")
    func address() async throws {
        try await FakeSheep.with { sheep async throws in
            let environment = ["SHEEPDOG_DOG_ADDR": "127.0.0.1", "SHEEPDOG_DOG_PORT": "\(sheep.port)"]
            #expect(try await DogProcess.run(["vdi", "list"], environment: environment).status == 0)
            let long = ["vdi", "list", "--address", "127.0.0.1", "--port", "\(sheep.port)", "nobody"]
            #expect(try await DogProcess.run(long, environment: ["SHEEPDOG_DOG_PORT": "1"]).status == 0)
        }
        let bad = try await DogProcess.run(["vdi", "list", "-p", "65536"])
        #expect(bad.status == 64)
        #expect(bad.error.hasPrefix("Invalid port number '65536'\n"))
    }
}
