import ArgumentParser
import Client
import Glibc
import ObjectModel
import SheepProtocol

struct VdiSetattr: SheepCommand {
    static let configuration = CommandConfiguration(
        commandName: "setattr", abstract: "Sets or deletes an attribute of a volume.")
    @OptionGroup var common: CommonOptions
    @OptionGroup var snapshot: SnapshotOptions
    @Flag(name: [.customShort("d"), .customLong("delete")], help: "Delete the attribute.")
    var delete = false
    @Flag(name: [.customShort("x"), .customLong("exclusive")], help: "Fail with exit code 3 when it is there already.")
    var exclusive = false
    @Argument(help: ArgumentHelp("The volume's name.", valueName: "name"))
    var name: VolumeName
    @Argument(help: ArgumentHelp("The attribute's key.", valueName: "key"))
    var key: String
    @Argument(help: ArgumentHelp("The value; standard input when absent.", valueName: "value"))
    var value: String?

    func validate() throws {
        try checkAttributeKey(key)
        guard !(delete && value != nil) else { throw ValidationError("A value and '-d' exclude each other") }
        guard !(delete && exclusive) else { throw ValidationError("'-x' and '-d' exclude each other") }
        guard (value?.utf8.count ?? 0) <= AttributeLimit.value else { throw Self.tooLong }
    }

    private static let tooLong = ValidationError("The value is longer than \(AttributeLimit.value) bytes")

    func run(with sheep: SheepClient) async throws {
        let volume = VolumeReference(name: name.text, selector: snapshot.selector ?? .working)
        let request = AttributeSet(volume: volume, key: key, value: try bytes(), exclusive: exclusive)
        do throws(ClientError) {
            _ = try await sheep.administer(.attributeSet(request))
        } catch {
            throw error.failure(volume, key: key, orFail: "Failed to set attribute '\(key)'")
        }
    }

    private func bytes() throws -> [UInt8]? {
        if delete { return nil }
        if let value { return Array(value.utf8) }
        let bytes = try StandardInput.read(atMost: AttributeLimit.value + 1)
        guard bytes.count <= AttributeLimit.value else { throw UsageFailure(text: Self.tooLong.message) }
        return bytes
    }
}

struct VdiGetattr: SheepCommand {
    static let configuration = CommandConfiguration(
        commandName: "getattr", abstract: "Prints an attribute of a volume, or the keys of all.")
    @OptionGroup var common: CommonOptions
    @OptionGroup var listing: ListingOptions
    @OptionGroup var snapshot: SnapshotOptions
    @Argument(help: ArgumentHelp("The volume's name.", valueName: "name"))
    var name: VolumeName
    @Argument(help: ArgumentHelp("The attribute's key.", valueName: "key"))
    var key: String?

    func validate() throws { if let key { try checkAttributeKey(key) } }

    func run(with sheep: SheepClient) async throws {
        let volume = VolumeReference(name: name.text, selector: snapshot.selector ?? .working)
        if let key { try await printValue(of: key, volume, sheep) } else { try await printKeys(of: volume, sheep) }
    }

    private func printValue(of key: String, _ volume: VolumeReference, _ sheep: SheepClient) async throws {
        let reply: AdministrationReply
        do throws(ClientError) {
            reply = try await sheep.administer(.attributeGet(AttributeGet(volume: volume, key: key)))
        } catch {
            throw error.failure(volume, key: key, orFail: "Failed to read attribute '\(key)'")
        }
        guard case .attribute(let bytes) = reply else { throw unexpectedReply() }
        try bytes.withUnsafeBytes { try Terminal.writeAll($0, to: STDOUT_FILENO) }
    }

    private func printKeys(of volume: VolumeReference, _ sheep: SheepClient) async throws {
        let reply = try await sheep.ask(.attributeList(volume), about: volume, orFail: "Failed to read attributes")
        guard case .attributeKeys(let keys) = reply else { throw unexpectedReply() }
        if listing.json {
            return Terminal.print(JSON.array(keys.map {
                .object([("key", .string($0.key)), ("length", .number($0.valueLength))])
            }).text())
        }
        for key in keys { Terminal.print(key.key) }
    }
}

private func checkAttributeKey(_ key: String) throws {
    guard !key.isEmpty, key.utf8.count <= AttributeLimit.key else {
        throw ValidationError("Invalid attribute key '\(key)': 1 to \(AttributeLimit.key) bytes")
    }
}

extension ClientError {
    fileprivate func failure(_ volume: VolumeReference, key: String, orFail what: String) -> CommandFailure {
        switch code {
        case .attributeExists: CommandFailure("The attribute '\(key)' already exists", ExitStatus.exists)
        case .noSuchAttribute: CommandFailure("Attribute '\(key)' not found", ExitStatus.missing)
        default: failure(volume, orFail: what)
        }
    }
}
