// The whole suite in one resource group: storage, identity, key vault, insights, and the function app.
targetScope = 'resourceGroup'

@description('Required. Short name of this deployment, in every resource name: 3 to 11 lower-case letters and digits.')
@minLength(3)
@maxLength(11)
param name string

@description('Optional. Region of everything; the resource group\'s by default.')
param location string = resourceGroup().location

@description('Required. Client id or App ID URI of the app registration that signs people and programs in.')
param audience string

@description('Optional. Name of the workspace that is made on first start.')
param defaultWorkspace string = 'default'

@description('Optional. Redundancy of the storage account. Zone-redundant by default, since acknowledged must mean durable.')
@allowed(['Standard_LRS', 'Standard_ZRS', 'Standard_GRS', 'Standard_GZRS'])
param storageSku string = 'Standard_ZRS'

@description('Optional. Memory of one instance, in MB.')
@allowed([512, 2048, 4096])
param instanceMemoryMB int = 2048

@description('Optional. The most instances the app scales out to.')
@minValue(40)
@maxValue(1000)
param maximumInstanceCount int = 40

@description('Optional. HTTP requests that one instance works on at a time; also the size of the worker\'s thread pool.')
@minValue(1)
@maxValue(64)
param httpConcurrency int = 16

@description('Optional. Days that a deleted blob can be brought back.')
@minValue(7)
@maxValue(365)
param softDeleteDays int = 14

@description('Optional. Secret that a front end (Front Door, API Management) sends beside a forwarded client certificate.')
@secure()
param frontEndSecret string = ''

@description('Optional. Where the queries of workspaces with the backend azureMonitor are answered.')
param azureMonitorEndpoint string = 'https://api.loganalytics.io/v1'

@description('Optional. Tags for every resource.')
param tags object = {}

var suffix = uniqueString(resourceGroup().id, name)
var allTags = union(tags, { product: 'oms' })

module identity 'modules/identity.bicep' = {
  name: 'identity'
  params: {
    name: 'id-oms-${name}'
    location: location
    tags: allTags
  }
}

module storage 'modules/storage.bicep' = {
  name: 'storage'
  params: {
    name: take('stoms${name}${suffix}', 24)
    location: location
    sku: storageSku
    softDeleteDays: softDeleteDays
    principalId: identity.outputs.principalId
    tags: allTags
  }
}

module vault 'modules/vault.bicep' = {
  name: 'vault'
  params: {
    name: take('kv-oms-${name}-${suffix}', 24)
    location: location
    principalId: identity.outputs.principalId
    tags: allTags
  }
}

module insights 'modules/insights.bicep' = {
  name: 'insights'
  params: {
    name: 'appi-oms-${name}'
    workspaceName: 'log-oms-${name}'
    location: location
    principalId: identity.outputs.principalId
    tags: allTags
  }
}

module app 'modules/app.bicep' = {
  name: 'app'
  params: {
    name: 'func-oms-${name}-${suffix}'
    location: location
    tags: allTags
    identityId: identity.outputs.id
    identityClientId: identity.outputs.clientId
    storageName: storage.outputs.name
    packageContainer: storage.outputs.packageContainer
    keyVaultUrl: vault.outputs.uri
    insightsConnectionString: insights.outputs.connectionString
    audience: audience
    azureMonitorEndpoint: azureMonitorEndpoint
    defaultWorkspace: defaultWorkspace
    instanceMemoryMB: instanceMemoryMB
    maximumInstanceCount: maximumInstanceCount
    httpConcurrency: httpConcurrency
    frontEndSecret: frontEndSecret
  }
}

@description('The address of the suite: portal, management API, ingestion and queries.')
output url string = app.outputs.url

@description('The function app\'s name, for `azd deploy` and `func azure functionapp publish`.')
output appName string = app.outputs.name

@description('The storage account that holds all state.')
output storageAccount string = storage.outputs.name
