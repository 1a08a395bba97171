import ArgumentParser

struct VdiCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "vdi", abstract: "Volumes and their snapshots.",
        subcommands: [
            VdiCreate.self, VdiDelete.self, VdiList.self, VdiTree.self, VdiGraph.self, VdiSnapshot.self, VdiClone.self,
            VdiRollback.self, VdiResize.self, VdiRename.self, VdiOwner.self, VdiRead.self, VdiWrite.self, VdiSetattr.self, VdiGetattr.self,
            VdiObject.self, VdiCheck.self, VdiLock.self, VdiImport.self, VdiExport.self,
        ])
}
