import SheepProtocol
import Testing

@Suite(.timeLimit(.minutes(15))) struct SheepfsUsageTests {
    private static let program = DogProcess.builtProgram("sheepfs")

    private func run(_ arguments: String...) async throws -> DogProcess {
        try await DogProcess.run(arguments, name: "sheepfs", program: Self.program)
    }

    @Test("help names every option of Sheepdog's sheepfs and ours")
    func help() async throws {
        let help = try await run("--help")
        #expect(help.status == 0)
        for option in ["-a,", "-p,", "-d,", "-f,", "-k,", "-n,", "-h,", "--allow-other", "--auto-mount"] {
            #expect(help.text.contains(option), "\(option)")
        }
    }

    @Test("wrong usage is told before any connection, with exit code 64", arguments: [
        [], ["-p", "0", "/mnt"], ["-p", "x", "/mnt"], ["-a", "", "/mnt"], ["--bogus", "/mnt"], ["/mnt", "/mnt"], [""],
    ])
    func wrongUsage(arguments: [String]) async throws {
        let result = try await DogProcess.run(arguments, name: "sheepfs", program: Self.program)
        #expect(result.status == 64, "\(result.error)")
    }

    @Test("no sheep: the address and the reason, in the background too", arguments: [["-f"], []])
    func noSheep(options: [String]) async throws {
        try await DeafPort.with { port in
            let result = try await DogProcess.run(options + ["-p", "\(port)", "/tmp"], name: "sheepfs", program: Self.program)
            #expect(result.status == 1)
            #expect(result.error == "sheepfs: failed to connect to 127.0.0.1:\(port): Connection refused\n")
        }
    }

    @Test("a mount point that is none is told")
    func noMountPoint() async throws {
        try await FakeSheep.with { sheep async throws in
            sheep.cluster.can(.nodeList, .nodes([]))
            let result = try await run("-f", "-p", "\(sheep.port)", "/nowhere")
            #expect(result.status == 1)
            #expect(result.error == "sheepfs: cannot mount on /nowhere: there is no such directory\n")
        }
    }
}
