import FUSEFrontend
import FrontendKit
import ObjectModel
import Testing

@Suite struct TreeTests {
    @Test("every node is found by its name in its parent, and numbers are its own")
    func names() {
        for node in StaticNode.allCases where node != .root {
            #expect(node.parent.child(node.name) == node)
            #expect(node.parent.kind == .directory)
            #expect(node.rawValue < StaticNode.firstVolume)
        }
        #expect(StaticNode.root.rawValue == 1)
        #expect(StaticNode.root.children.map(\.name) == ["cluster", "node", "vdi", "volume", "config", "http"])
        #expect(StaticNode.volumeAdministration.children.map(\.name) == ["list", "mount", "unmount"])
        #expect(StaticNode.configuration.children.map(\.name) == ["page_cache", "sheep_info"])
        #expect(StaticNode.clusterInformation.child("x") == nil)
    }

    @Test("volume names that no file can have come back", arguments: [
        ("alice", "alice"), ("a/b", "a%2Fb"), ("50%", "50%25"), (".", "%2E"), ("..", "%2E."), ("a%2Fb", "a%252Fb"), ("…@täg", "…@täg"),
    ])
    func fileNames(volume: String, file: String) {
        #expect(FileName.encode(volume) == file)
        #expect(FileName.decode(file) == volume)
    }

    @Test("file names that no volume has are refused", arguments: ["%", "%2", "%41", "a%2f", "%2Ea", "%2E%2E"])
    func otherFileNames(file: String) {
        #expect(FileName.decode(file) == nil)
    }

    @Test("a setting is one line of text")
    func settings() {
        #expect(SettingText.line(Array("alice\n".utf8)) == "alice")
        #expect(SettingText.line(Array(" my volume@t \r\n".utf8)) == "my volume@t")
        for text in ["", "\n", "a\nb\n", "a\0b", String(repeating: "x", count: SettingText.longest + 1)] {
            #expect(SettingText.line(Array(text.utf8)) == nil)
        }
        #expect(SettingText.line([0xFF, 0xFE]) == nil)
        #expect(SettingText.flag("1") == true)
        #expect(SettingText.flag("0") == false)
        #expect(SettingText.flag("yes") == nil)
    }

    @Test("inode numbers stay while the kernel or a user has the file, and are never given again")
    func inodes() {
        var files = VolumeFiles<MemoryBlockDevice>()
        let information = BlockDeviceInformation(name: "a", description: "", size: 5, isReadOnly: false)
        let first = files.file("a", information)
        first.lookups = 2
        #expect(first.inode == StaticNode.firstVolume)
        #expect(files.file("a", information) === first)
        #expect(files.file("b", information).inode == first.inode + 1)
        files.forget(first.inode, 1)
        first.handles = 1
        files.forget(first.inode, 5)
        #expect(files[first.inode] === first)
        first.handles = 0
        files.dropIfUnused(first)
        #expect(files["a"] == nil)
        #expect(files.file("a", information).inode == first.inode + 2)
    }

    @Test("errors become the numbers that programs understand")
    func errors() {
        #expect(SheepError(.readOnly, "").errorNumber == 30)
        #expect(SheepError(.noSpace, "").errorNumber == 28)
        #expect(SheepError(.noSuchSnapshot, "").errorNumber == 2)
        #expect(SheepError(.invalidArgument, "").errorNumber == 22)
        #expect(SheepError(.unavailable, "").errorNumber == 5)
    }
}
