import ConformanceKit
import FrontendKit
import Glibc
import NBDFrontend
import Testing

/// The programs that people use.
@Suite("NBD tools")
struct ToolTests {
    private func server() throws -> TestServer<MemoryBlockDeviceProvider> {
        let provider = MemoryBlockDeviceProvider()
        provider.create("disk", description: "the disk of a test", size: 48 << 20)
        provider.snapshot("disk", tag: "empty", description: "before anything")
        return try TestServer(provider, defaultExport: "disk")
    }

    @Test("nbdinfo tells sizes, descriptions and what can be done", .enabled(if: Program.isInstalled("nbdinfo")))
    func info() throws {
        let server = try server()
        let one = try Program.run("nbdinfo", [server.uri("disk")])
        #expect(one.status == 0)
        for line in [
            "export-size: 50331648 (48M)", "description: the disk of a test", "base:allocation", "is_read_only: false",
            "can_cache: true", "can_df: true", "can_fast_zero: true", "can_flush: true", "can_fua: true",
            "can_multi_conn: true", "can_trim: true", "can_zero: true", "block_size_minimum: 1",
            "block_size_preferred: 4096", "block_size_maximum: 33554432",
        ] { #expect(one.text.contains(line), "\(line) in \(one.text)") }
        let list = try Program.run("nbdinfo", ["--list", server.uri])
        #expect(list.status == 0)
        for line in ["export=\"disk\"", "export=\"disk@empty\"", "description: before anything", "is_read_only: true"] {
            #expect(list.text.contains(line), "\(line) in \(list.text)")
        }
        #expect(try Program.run("nbdinfo", ["--size", server.uri]).text == "50331648\n")
        #expect(try Program.run("nbdinfo", [server.uri("nothing")]).status != 0)
    }

    @Test("nbdcopy there and back, on several connections", .enabled(if: Program.isInstalled("nbdcopy", "cmp")))
    func copy() throws {
        let server = try server()
        let files = TemporaryDirectory()
        let (source, result) = ("\(files.path)/source", "\(files.path)/result")
        try Program.run("dd", ["if=/dev/urandom", "of=\(source)", "bs=1M", "count=24"])
        truncate(source, 48 << 20)
        let there = try Program.run("nbdcopy", ["--connections=4", "--flush", source, server.uri("disk")])
        #expect(there.status == 0, "\(there.text)")
        let back = try Program.run("nbdcopy", ["--connections=4", server.uri("disk"), result])
        #expect(back.status == 0, "\(back.text)")
        #expect(try Program.run("cmp", [source, result]).status == 0)
        let map = try Program.run("nbdinfo", ["--map", server.uri("disk")])
        #expect(map.text.contains("hole,zero"), "\(map.text)")
    }

    @Test("qemu-img converts and compares", .enabled(if: Program.isInstalled("qemu-img")))
    func qemuImage() throws {
        let server = try server()
        let files = TemporaryDirectory()
        let source = "\(files.path)/source"
        try Program.run("dd", ["if=/dev/urandom", "of=\(source)", "bs=1M", "count=20"])
        truncate(source, 48 << 20)
        let convert = try Program.run("qemu-img", ["convert", "-n", "-f", "raw", "-O", "raw", source, server.uri("disk")])
        #expect(convert.status == 0, "\(convert.text)")
        let compare = try Program.run("qemu-img", ["compare", "-f", "raw", "-F", "raw", source, server.uri("disk")])
        #expect(compare.text.contains("Images are identical"), "\(compare.text)")
        let map = try Program.run("qemu-img", ["map", "--output=json", "-f", "raw", server.uri("disk")])
        #expect(map.text.contains("\"zero\": true"), "\(map.text)")
    }

    @Test("qemu-io: writes, zeros, discards, odd ranges", .enabled(if: Program.isInstalled("qemu-io")))
    func qemuIO() throws {
        let server = try server()
        let commands = [
            "write -P 0x11 0 1M", "write -f -P 0x22 4k 4k", "write -z 64k 64k", "write -zu 128k 64k", "discard 256k 64k",
            "write -P 0x33 1000k 5000", "read -P 0x11 0 4k", "read -P 0x22 4k 4k", "read -P 0 64k 64k", "read -P 0 128k 64k",
            "read -P 0 256k 64k", "read -P 0x33 1000k 5000", "read -P 0x11 8k 56k", "flush",
        ]
        let arguments = ["-f", "raw", "-t", "writeback"] + commands.flatMap { ["-c", $0] } + [server.uri("disk")]
        let output = try Program.run("qemu-io", arguments)
        #expect(output.status == 0, "\(output.text)")
        #expect(!output.text.contains("fail") && !output.text.contains("error"), "\(output.text)")
    }

    @Test("fio writes and verifies at depth 32", .enabled(if: Program.isInstalled("fio")))
    func fio() throws {
        let server = try server()
        let files = TemporaryDirectory()
        let output = try Program.run(
            "fio",
            [
                "--name=verify", "--ioengine=nbd", "--uri=\(server.uri("disk"))", "--rw=randwrite", "--bsrange=512-64k",
                "--bs_unaligned", "--iodepth=32", "--size=16M", "--verify=crc32c", "--verify_fatal=1",
                "--aux-path=\(files.path)",
            ])
        #expect(output.status == 0, "\(output.text)")
    }
}
